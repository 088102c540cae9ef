-- Health of OAuthClient, ProvidentConnection and ClusterProvidentConnection for Argo CD.
local waits = { Pending = true, ConnectionNotReady = true, VendorUnavailable = true, VendorThrottled = true, Deactivating = true }
local status = obj.status or {}
local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local ready = found.Ready
if found.Stalled ~= nil and found.Stalled.status == "True" then
  return { status = "Degraded", message = found.Stalled.message }
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "spec.suspend is true" }
end
if ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for provident-operator" }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
if ready.status == "Unknown" or waits[ready.reason] then
  return { status = "Progressing", message = ready.reason .. ": " .. ready.message }
end
return { status = "Degraded", message = ready.reason .. ": " .. ready.message }
