// A worker's spec as fields of a JSON document: shared by spec_json.hpp's doors and by workers.add.
// Private to this room.
#pragma once

#include <string>

#include "core/spec.hpp"
#include "ctl/field_reader.hpp"

namespace cluster::ctl {

[[nodiscard]] Json spec_fields(const core::WorkerSpec& spec);

/// Throws FieldError that names the field and what was expected.
[[nodiscard]] core::WorkerSpec read_spec_fields(const Json& value, const std::string& where);

}  // namespace cluster::ctl
