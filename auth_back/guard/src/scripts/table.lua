-- Entries in sets of eight: table.rs once more. It stands before each of the other scripts.
--
-- A set is a hash: a field of eight bytes for each key, and what is known under it as text, "level last
-- mark", the two moments in tenths of a second since 1970. When a new key comes and its set is full, the
-- entry of least worth goes, the longest untouched among equals.
local WAYS, DAY, KNOWN_WORTH = 8, 864000, 3

local function is_pair(kind) return kind == 'p' or kind == 'd' end

local function worth(kind, entry, now, known_for)
    local value = entry.level
    if value > 1 then
        local quiet = math.floor(math.max(now - math.max(entry.last, entry.mark), 0) / DAY)
        value = math.max(math.floor(value / 2 ^ math.min(quiet, 16)), 1)
    end
    if is_pair(kind) and entry.mark > 0 and now - entry.mark < known_for then
        value = math.max(value, KNOWN_WORTH)
    end
    return value
end

local function parse(text)
    local level, last, mark = string.match(text, '^(%d+) (%d+) (%d+)$')
    return {level = tonumber(level), last = tonumber(last), mark = tonumber(mark)}
end

-- An entry that nobody has seen yet is one of zeros.
local function find(set, field)
    local text = redis.call('HGET', set, field)
    if text then return parse(text) end
    return {level = 0, last = 0, mark = 0, is_new = true}
end

local function make_room(kind, set, now, known_for)
    local all = redis.call('HGETALL', set)
    local least, least_worth, least_moment
    for i = 1, #all, 2 do
        local entry = parse(all[i + 1])
        local value, moment = worth(kind, entry, now, known_for), math.max(entry.last, entry.mark)
        if not least or value < least_worth or (value == least_worth and moment < least_moment) then
            least, least_worth, least_moment = all[i], value, moment
        end
    end
    redis.call('HDEL', set, least)
end

-- What is worth nothing makes room at once. A set lives as long as its youngest entry matters.
local function put(kind, set, field, entry, now, known_for, lives_ms)
    if worth(kind, entry, now, known_for) == 0 then
        if not entry.is_new then redis.call('HDEL', set, field) end
        return
    end
    if entry.is_new and redis.call('HLEN', set) >= WAYS then make_room(kind, set, now, known_for) end
    redis.call('HSET', set, field, string.format('%.0f %.0f %.0f', entry.level, entry.last, entry.mark))
    if lives_ms then redis.call('PEXPIRE', set, string.format('%.0f', lives_ms)) end
end

-- How many times the allowance of the narrowest network one of this width has.
local function times_of(width) return ({['0'] = 1, ['1'] = 4, ['2'] = 16})[width] end
