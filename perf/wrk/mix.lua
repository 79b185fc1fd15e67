-- What a day looks like: of 100 requests, 94 view the products, 5 log in, 1 registers.

local common = require("common")

setup = common.number_threads()

function init()
  local views, logins, register = common.views(), common.logins(), common.new_registration(number)
  local count = 0
  -- Kinds are spread evenly, not drawn at random, so that two runs send the same.
  function request()
    count = count + 1
    local place = count % 100
    if place == 0 then
      return register()
    elseif place % 20 == 10 then
      return logins[count % #logins + 1]
    end
    return views[count % #views + 1]
  end
end

done = common.done
