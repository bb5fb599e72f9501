-- A call of the API: pinned by its header, refused if its release is gone, with hints if it is not current.
local stale = { ["1.4.2"] = true }
local retired = { ["1.3.0"] = true }

local function route_of(version)
  if not version then return current end
  return routes[version] or (version:match("^1%.9%.") and current)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  if not is_ours(headers) then return end
  if not is_pinned(headers) then return headers:replace("x-release", current) end
  local version = headers:get("x-bundle-version")
  if version and retired[version] then
    return handle:respond({
      [":status"] = "409",
      ["content-type"] = "application/json",
      ["cache-control"] = "no-store",
      ["x-client-update"] = "required",
      ["x-client-current"] = "2.0.0",
    }, '{"error":"client_outdated","client":"' .. version .. '","current":"2.0.0"}')
  end
  headers:replace("x-release", route_of(version))
  headers:remove("if-none-match")
  headers:remove("if-modified-since")
  keep(handle, "pinned")
  if version and (stale[version] or not routes[version]) then keep(handle, "stale") end
  if headers:get("origin") then keep(handle, "cors") end
end

function envoy_on_response(handle)
  local decided = kept(handle)
  if not decided.pinned then return end
  local headers = handle:headers()
  local vary = headers:get("vary")
  if not vary or not vary:find("x-bundle-version", 1, true) then headers:add("vary", "x-bundle-version") end
  if decided.stale then
    headers:replace("x-client-update", "available")
    headers:replace("x-client-current", "2.0.0")
    if decided.cors then headers:add("access-control-expose-headers", "x-client-update, x-client-current") end
  end
end
