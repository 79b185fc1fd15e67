-- The requests in REQUESTS_FILE as they go over the wire, in turn. A NUL byte stands between two of them.

local common = require("common")
local requests, at = {}, 0

function init()
  local file = io.open(os.getenv("REQUESTS_FILE"), "rb")
  for each in file:read("*a"):gmatch("[^%z]+") do
    requests[#requests + 1] = each
  end
  file:close()
end

function request()
  at = at % #requests + 1
  return requests[at]
end

done = common.done
