-- Says what came of an attempt that reserve.lua has let through.
--
-- KEYS    the sets of what was charged; for a device, then that of its account and network
-- ARGV[1] what each is, two letters for each, as there
-- ARGV[2] right: the password was; nothing: nothing was learned; held: nor then, and it held a place
-- ARGV[3] when it was let through   [4] for how long a success is remembered
-- ARGV[5] and on, five for each: field, level with it, last and mark before it, how many times it counts;
--         for a device, then the field of its account and network
local outcome, at, known_for = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local buckets = #ARGV[1] / 2

local function give_back(kind, entry, level, last, mark, count)
    if entry.level == level then
        if entry.last == at then entry.last = last end
        -- The mark of others is not when an attempt was let through.
        if kind == 'a' and entry.mark == at then entry.mark = mark end
    end
    entry.level = math.max(entry.level - count, 0)
end

for i = buckets, 1, -1 do
    local kind, width = ARGV[1]:sub(2 * i - 1, 2 * i - 1), ARGV[1]:sub(2 * i, 2 * i)
    local set, field, entry, lives = KEYS[i], ARGV[5 * i], find(KEYS[i], ARGV[5 * i]), nil
    local is_network = kind == 'n' or kind == 'r'
    if outcome == 'right' and kind == 'p' and width == '0' then
        -- A new entry if the old one had to go: it is worth remembering who is known.
        entry.level, entry.last, entry.mark, lives = 0, at, at, known_for * 100
    elseif outcome == 'right' and not is_network then
        entry.level = 0
    elseif not (outcome == 'held' and is_network) then
        local number = {}
        for j = 1, 4 do number[j] = tonumber(ARGV[5 * i + j]) end
        give_back(kind, entry, number[1], number[2], number[3], number[4])
    end
    if not entry.is_new or lives then put(kind, set, field, entry, at, known_for, lives) end
end
if outcome == 'right' and KEYS[buckets + 1] then
    -- Known from now on, for when the marker is lost; its own failures stay.
    local set, field = KEYS[buckets + 1], ARGV[5 * buckets + 5]
    local entry = find(set, field)
    entry.mark = at
    put('p', set, field, entry, at, known_for, known_for * 100)
end
return 1
