-- Counts an attempt that reserve.lua has let through so many times more, in the buckets of its networks.
--
-- KEYS    the sets of the networks
-- ARGV[1] how many times more   [2] the most that a network of the narrowest width may count
-- ARGV[3] the width of each, one letter for each, as there   [4] and on: their fields
-- Answers how many times it was possible, for each.
local more, most, answer = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
for i, set in ipairs(KEYS) do
    local field, entry = ARGV[3 + i], find(set, ARGV[3 + i])
    answer[i] = 0
    if not entry.is_new then
        answer[i] = math.max(math.min(more, most * times_of(ARGV[3]:sub(i, i)) - entry.level), 0)
        entry.level = entry.level + answer[i]
        put('n', set, field, entry, 0, 0)
    end
end
return answer
