-- The products with one session, always the same request: nothing of Lua runs while wrk sends. With PIPELINE,
-- as many at a time.

local common = require("common")

wrk.headers["Authorization"] = "Bearer " .. common.tokens()[1]

local pipelined = tonumber(os.getenv("PIPELINE") or "1")
if pipelined > 1 then
  local batch
  function init()
    batch = wrk.format("GET"):rep(pipelined)
  end

  function request()
    return batch
  end
end

done = common.done
