-- What the scripts of wrk share. They run in perf/wrk; settings come from the environment:
-- USERS, PASSWORD, TOKENS_FILE, RUN.

local common = {}

local json = { ["Content-Type"] = "application/json" }

-- Sets a global `number`, from 0, in each thread, so that threads send different requests.
function common.number_threads()
  local count = 0
  return function(thread)
    thread:set("number", count)
    count = count + 1
  end
end

-- The tokens in TOKENS_FILE, one a line.
function common.tokens()
  local tokens = {}
  for token in io.lines(os.getenv("TOKENS_FILE")) do
    tokens[#tokens + 1] = token
  end
  return tokens
end

-- A request with the credentials of `username`.
function common.post(route, username)
  local body = string.format('{"username":"%s","password":"%s"}', username, os.getenv("PASSWORD"))
  return wrk.format("POST", "/open_api/v1/" .. route, json, body)
end

-- One prepared request to log in for each user: formatting is not to be measured.
function common.logins()
  local requests = {}
  for i = 1, tonumber(os.getenv("USERS")) do
    requests[i] = common.post("authenticate", "user-" .. (i - 1))
  end
  return requests
end

-- One prepared request to view the products for each token.
function common.views()
  local requests = {}
  for i, token in ipairs(common.tokens()) do
    local fields = { ["Authorization"] = "Bearer " .. token }
    requests[i] = wrk.format("GET", "/open_api/v1/products", fields)
  end
  return requests
end

-- A request to register a name that no other has.
function common.new_registration(thread_number)
  local count = 0
  return function()
    count = count + 1
    return common.post("register", string.format("%s-%d-%d", os.getenv("RUN"), thread_number, count))
  end
end

-- Prints one line for run_wrk.sh: requests, microseconds, latencies in microseconds, errors.
function common.done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  print(string.format("RESULT %d %d %d %d %d %d %d", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max, failed))
end

return common
