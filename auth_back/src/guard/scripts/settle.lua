-- Says what came of an attempt that reserve.lua has let through.
--
-- KEYS    the buckets, as there; for a device, then that of its account and network
-- ARGV[1] what each is, as there   [2] right: the password was; else nothing came of it
-- ARGV[3] when it was let through   [4] for how long a success is remembered
-- ARGV[5] and on: t of each bucket before
local kinds, right, at, known_for = ARGV[1], ARGV[2] == 'right', ARGV[3], ARGV[4]

local function give_back(key, before)
    local level = tonumber(redis.call('HGET', key, 'l') or 0)
    -- Cleared by a success meanwhile, or forgotten.
    if level == 0 then return end
    redis.call('HSET', key, 'l', level - 1)
    if redis.call('HGET', key, 't') == at then redis.call('HSET', key, 't', before) end
end

local function remember(key)
    redis.call('HSET', key, 'm', at)
    redis.call('PEXPIRE', key, known_for)
end

for i = 1, #kinds do
    local kind, key = kinds:sub(i, i), KEYS[i]
    if not right or kind == 'n' then
        give_back(key, ARGV[4 + i])
    elseif kind == 'p' then
        redis.call('HSET', key, 'l', 0)
        remember(key)
    else
        redis.call('DEL', key)
    end
end
if right and KEYS[#kinds + 1] then remember(KEYS[#kinds + 1]) end
return 1
