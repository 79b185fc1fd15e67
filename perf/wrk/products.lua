-- Everybody looks at the products, each with a session of their own.

local common = require("common")
local views, at = nil, 0

function init()
  views = common.views()
end

function request()
  at = at % #views + 1
  return views[at]
end

done = common.done
