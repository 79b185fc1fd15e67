-- New users register, each under a name of their own.

local common = require("common")

setup = common.number_threads()

function init()
  request = common.new_registration(number)
end

done = common.done
