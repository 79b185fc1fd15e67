-- Lets an attempt through and counts it in all of its buckets, or in none.
--
-- KEYS    the buckets
-- ARGV[1] what each is, one letter a key, in the order in which they judge: n a network, p an account
--         and a network, d an account and a device, a an account (after p or d)
-- ARGV[2] free attempts of p and d   [3] their first wait   [4] their longest
-- ARGV[5] failures in a row of an account before its slow lane, and after which nobody is known
-- ARGV[6] for how long a success is remembered   [7] how often the slow lane moves
-- ARGV[8] free attempts of n   [9] their longest wait   [10] in what time one of them leaks
-- ARGV[11] 1 if the server that asks knows them: what this one has forgotten must not keep them out
-- All times in ms. The clock is this server's, so that everybody's is the same. It may be set back, or be
-- that of another machine after a failover: a moment that is to come counts as now.
--
-- A bucket is a hash: l what counts, t when an attempt was last let through, m a moment: the last success
-- of p, up to when n has leaked. The arithmetic is that of bucket.rs, which says why.
--
-- Answers {0, known, now, t of each bucket before}, {the place of the bucket that refuses, the wait},
-- or {-1} for a device that has failed too often to be known.
local number = {}
for i = 2, 11 do number[i] = tonumber(ARGV[i]) end
local free, first, longest, failures_max = number[2], number[3], number[4], number[5]
local known_for, interval = number[6], number[7]
local network_free, network_longest, leak = number[8], number[9], number[10]

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(moment) return string.format('%.0f', moment) end

local function ladder(level, free, longest)
    if level < free then return 0 end
    return math.min(first * 2 ^ math.min(level - free, 40), longest)
end

local known = number[11]
local buckets = {}
for i, key in ipairs(KEYS) do
    local kind = ARGV[1]:sub(i, i)
    local stored = redis.call('HMGET', key, 'l', 't', 'm')
    local level, last, mark =
        tonumber(stored[1] or 0), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
    if last > now then
        -- Kept also when this attempt is refused, or the wait would begin anew with each.
        last = now
        redis.call('HSET', key, 't', text(last))
    end
    local before, wait = last, 0
    if kind == 'n' then
        if mark == 0 or mark > now then mark = now end
        local over = math.max(level - network_free, 0)
        local steps = math.min(math.floor((now - mark) / network_longest), over)
        level, mark = level - steps, mark + steps * network_longest
        if level <= network_free then
            steps = math.min(math.floor((now - mark) / leak), level)
            level, mark = level - steps, mark + steps * leak
        end
        if level == 0 then mark = now end
        wait = ladder(level, network_free, network_longest)
    elseif kind == 'a' then
        if level >= failures_max and known == 0 then wait = interval end
    else
        if kind == 'd' and level >= failures_max then return {-1} end
        local remembered = mark > 0 and now - mark < known_for
        if kind == 'd' or (remembered and level < failures_max) then known = 1 end
        wait = ladder(level, free, longest)
    end
    wait = wait - (now - last)
    if wait > 0 then return {i, math.ceil(wait)} end
    level = level + 1
    if kind ~= 'a' or known == 0 or last == 0 then last = now end
    buckets[i] = {key, kind, level, last, mark, before}
end

local answer = {0, known, now}
for i, bucket in ipairs(buckets) do
    local key, kind, level, last, mark, before = unpack(bucket)
    redis.call('HSET', key, 'l', level, 't', text(last), 'm', text(mark))
    -- What a flood of random names leaves behind goes soon: memory here is shared with sessions. Each
    -- server still remembers it in its own table.
    local keep = 600000
    if kind == 'n' then
        keep = network_free * leak + (math.max(level - network_free, 0) + 1) * network_longest
    elseif mark > 0 or level >= 5 then
        keep = math.max(known_for, longest, interval)
    end
    redis.call('PEXPIRE', key, text(keep))
    answer[i + 3] = before
end
return answer
