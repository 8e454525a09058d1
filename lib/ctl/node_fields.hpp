// The Node.js part of a worker's launch as JSON. Private to this room.
#pragma once

#include <string>

#include "core/spec.hpp"
#include "ctl/field_reader.hpp"

namespace cluster::ctl {

[[nodiscard]] Json node_fields(const core::NodeSpec& node);
/// `launch`: where it stands. Throws FieldError.
[[nodiscard]] core::NodeSpec read_node(const Json& value, const std::string& launch);

}  // namespace cluster::ctl
