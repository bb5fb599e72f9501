-- A preflight: it has no header of its own, so only its URL may name a version.
function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_ours(headers) then return end
  if headers:get(":method") == "OPTIONS" and headers:get("access-control-request-method") then
    local version = headers:get(":path"):match("[?&]dpl=([%w._+-]+)")
    headers:replace("x-release", version and routes[version] or current)
    keep(handle, "preflight")
  end
end

function envoy_on_response(handle)
  if not kept(handle).preflight then return end
  local headers = handle:headers()
  local vary = headers:get("vary")
  if not vary or not vary:find("x-bundle-version", 1, true) then headers:add("vary", "x-bundle-version") end
end
