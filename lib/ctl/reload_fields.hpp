// The reload part of a worker's spec as JSON. Private to this room.
#pragma once

#include <string>

#include "core/spec.hpp"
#include "ctl/field_reader.hpp"

namespace cluster::ctl {

[[nodiscard]] Json reload_fields(const core::ReloadSpec& reload);
/// `spec`: where the spec stands. Throws FieldError.
[[nodiscard]] core::ReloadSpec read_reload(const Json& value, const std::string& spec);

}  // namespace cluster::ctl
