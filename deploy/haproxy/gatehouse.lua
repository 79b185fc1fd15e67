-- Asks http_front whose request it is, before the application sees it: HAProxy's own rules cannot ask.

local SESSION = "http://127.0.0.1:8080/open_api/v1/session"
local TIMEOUT_MS = 2000

-- What http_front decides by, and nothing else.
local ASKED_WITH = { "host", "cookie", "user-agent", "x-forwarded-for", "x-request-id" }

local OURS = { ["__Host-session"] = true, ["__Host-device"] = true }

local function is_token(authorization)
    return authorization:lower():match("^%s*bearer +gate_") ~= nil
end

-- The cookies without the session and the marker of the device.
local function without_ours(cookies)
    local kept = {}
    for cookie in cookies:gmatch("[^;]+") do
        cookie = cookie:match("^%s*(.-)%s*$")
        local name = cookie:match("^(.-)%s*=") or cookie
        if not OURS[name] then
            kept[#kept + 1] = cookie
        end
    end
    return table.concat(kept, "; ")
end

local function take_out(txn, headers)
    txn.http:req_del_header("cookie")
    for _, cookies in pairs(headers["cookie"] or {}) do
        local kept = without_ours(cookies)
        if kept ~= "" then
            txn.http:req_add_header("Cookie", kept)
        end
    end
    txn.http:req_del_header("authorization")
    for _, authorization in pairs(headers["authorization"] or {}) do
        if not is_token(authorization) then
            txn.http:req_add_header("Authorization", authorization)
        end
    end
end

core.register_action("gatehouse", { "http-req" }, function(txn)
    local headers = txn.http:req_get_headers()
    local asked_with = {}
    for _, name in ipairs(ASKED_WITH) do
        asked_with[name] = headers[name]
    end
    for _, authorization in pairs(headers["authorization"] or {}) do
        if is_token(authorization) then
            asked_with["authorization"] = asked_with["authorization"] or {}
            table.insert(asked_with["authorization"], authorization)
        end
    end
    -- Lists of header values count from 0 in HAProxy.
    local answer = core.httpclient():get({ url = SESSION, headers = asked_with, timeout = TIMEOUT_MS })
    local status = answer and answer.status or 0
    take_out(txn, headers)
    if status == 200 then
        for _, name in ipairs({ "x-user-id", "x-user-name" }) do
            local values = answer.headers[name]
            if values then
                txn.http:req_set_header(name, values[0])
            end
        end
        txn:set_var("txn.gatehouse", "known")
    elseif status == 401 or status == 403 then
        txn:set_var("txn.gatehouse", "unknown")
    else
        txn:set_var("txn.gatehouse", "away")
    end
end)
