// `describe` for people: one instance, section by section.
#pragma once

#include <string>

#include "clusterctl/view/status_view.hpp"
#include "ctl/protocol.hpp"

namespace cluster::clusterctl {

/// Lines of at most options.width columns. What a worker or a file says is made harmless for the
/// terminal.
[[nodiscard]] std::string render_description(const ctl::Description& description,
                                             const ViewOptions& options);

}  // namespace cluster::clusterctl
