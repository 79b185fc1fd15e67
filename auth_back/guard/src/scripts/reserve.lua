-- Lets an attempt through and counts it in all of its buckets, or in none. bucket.rs once more, which says
-- why; tests/history.rs compares the two.
--
-- KEYS[1] the seed of all fields   KEYS[2] and on: the sets of the buckets, in the order in which they judge
-- ARGV[1] the seed that the fields were made with
-- ARGV[2] what each bucket is, two letters for each: p an account and a network, d an account and a device,
--         a an account, n a network, r a network's registrations; 0 an address or a /64, 1 a /56, 2 a /48
-- ARGV[3] 1 if the server that asks knows them: what this one has forgotten must not keep them out
-- ARGV[4] the time, or 0 for that of this server, so that everybody's is the same
-- ARGV[5] free attempts of p and d   [6] their first wait   [7] their longest
-- ARGV[8] failures in a row of an account before its slow lane, and after which nobody is known
-- ARGV[9] for how long a success or a failure is remembered   [10] how often a turn of the slow lane comes
-- ARGV[11] free attempts of n and r   [12] their longest wait   [13] in what time one of them leaks
-- ARGV[14] and on: the fields of the buckets
-- All times are tenths of a second. This server's clock may be set back, or be that of another machine after
-- a failover: a moment that is to come counts as now.
--
-- Answers {0, known, now, level, last and mark of each bucket}: the level with this attempt, or -1 where it is
-- not charged, and the moments before; {place, wait} of the bucket that refuses; {-1} for a device that has
-- failed too often to be known; {-2} if the seed is another.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-2} end
local number = {}
for i = 3, 13 do number[i] = tonumber(ARGV[i]) end
local known, now, free, first, longest = number[3] == 1, number[4], number[5], number[6], number[7]
local failures_max, known_for, interval = number[8], number[9], number[10]
local network_free, network_longest, network_leak = number[11], number[12], number[13]
local fresh = true

if now == 0 then
    local time = redis.call('TIME')
    now = time[1] * 10 + math.floor(time[2] / 100000)
end

local function ladder(level, free, longest, times)
    if level < free * times then return 0 end
    local doubled = first * 2 ^ math.min(level - free * times, 40)
    return math.min(doubled, math.max(math.floor(longest / times), 1))
end

local function drain(entry, most, step, times)
    local drained = math.min(math.floor((now - entry.mark) / step) * times, most)
    entry.level = entry.level - drained
    entry.mark = entry.mark + step * math.ceil(drained / times)
end

local function leak(entry, times)
    if entry.mark == 0 then entry.mark = now end
    local free = network_free * times
    drain(entry, math.max(entry.level - free, 0), network_longest, times)
    if entry.level <= free then drain(entry, entry.level, network_leak, times) end
    if entry.level == 0 then entry.mark = now end
end

local function left_of(wait, last)
    if last == 0 then return 0 end
    return wait - (now - last)
end

-- How long an account has to wait, if it does; else when it was tried last is noted.
local function account(entry)
    if known then
        if entry.last == 0 then entry.last = now end
    elseif entry.level < failures_max then
        entry.last, entry.mark = now, now
    else
        local of_all, of_fresh = left_of(interval, entry.last), left_of(interval, entry.mark)
        if fresh and of_fresh <= 0 then
            entry.mark = now
        elseif of_all <= 0 then
            entry.last = now
        elseif fresh then
            return math.min(of_all, of_fresh)
        else
            return of_all
        end
    end
    return 0
end

local answer, charged = {0, 0, now}, {}
for i = 2, #KEYS do
    local set, field = KEYS[i], ARGV[12 + i]
    local kind, width = ARGV[2]:sub(2 * i - 3, 2 * i - 3), ARGV[2]:sub(2 * i - 2, 2 * i - 2)
    local times = times_of(width)
    if known and (kind == 'n' or (kind == 'p' and times > 1)) then
        answer[3 * i - 2], answer[3 * i - 1], answer[3 * i] = -1, 0, 0
    else
        local entry = find(set, field)
        if entry.last > now or entry.mark > now then
            entry.last, entry.mark = math.min(entry.last, now), math.min(entry.mark, now)
            -- Kept also when this attempt is refused, or the wait would begin anew with each.
            put(kind, set, field, entry, now, known_for)
        end
        local last, mark, left = entry.last, entry.mark, 0
        if kind == 'a' then
            left = account(entry)
        elseif kind == 'n' or kind == 'r' then
            leak(entry, times)
            left = left_of(ladder(entry.level, network_free, network_longest, times), last)
        else
            if kind == 'd' then
                if entry.level >= failures_max then return {-1} end
                known = true
            else
                if entry.level >= times and now - last < known_for then fresh = false end
                local remembered = mark > 0 and now - mark < known_for
                if times == 1 and remembered and entry.level < failures_max then known = true end
            end
            left = left_of(ladder(entry.level, free, longest, times), last)
        end
        if left > 0 then return {i - 1, left} end
        if kind ~= 'a' then entry.last = now end
        entry.level = entry.level + 1
        charged[#charged + 1] = {kind, set, field, entry, times}
        answer[3 * i - 2], answer[3 * i - 1], answer[3 * i] = entry.level, last, mark
    end
end

for _, bucket in ipairs(charged) do
    local kind, set, field, entry, times = unpack(bucket)
    local lives = math.max(known_for, longest, interval)
    if kind == 'n' or kind == 'r' then
        -- Until twice the burst, which is the most there is, has leaked.
        lives = network_free * (network_leak + network_longest)
    end
    put(kind, set, field, entry, now, known_for, lives * 100)
end
if known then answer[2] = 1 end
return answer
