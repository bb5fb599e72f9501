-- The least that routing by version takes: one header mapped to the route header, and named in Vary.
local routes = { ["2.0.0"] = "v2-0-0", ["1.4.2"] = "v1-4-2" }

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:replace("x-release", routes[headers:get("x-bundle-version")] or "v2-0-0")
end

function envoy_on_response(handle)
  handle:headers():add("vary", "x-bundle-version")
end
