// Events for people: one line each, and the last words of what crashed below it.
#pragma once

#include <string>

#include "clusterctl/view/status_view.hpp"
#include "ctl/event_json.hpp"

namespace cluster::clusterctl {

/// "14:03:07.120 api.0: running → backoff, next start in 100ms". Today's events have the time of
/// day, older ones the date as well. Lines of at most options.width columns.
[[nodiscard]] std::string render_event(const ctl::Event& event, const ViewOptions& options);

}  // namespace cluster::clusterctl
