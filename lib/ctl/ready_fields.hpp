// How a worker shows that it is ready and lives, as JSON of its spec. Private to this room.
#pragma once

#include <string>

#include "core/spec.hpp"
#include "ctl/field_reader.hpp"

namespace cluster::ctl {

[[nodiscard]] Json readiness_fields(const core::Readiness& ready);
/// `where`: the field. Throws FieldError.
[[nodiscard]] core::Readiness read_readiness(const Json& value, const std::string& where);

/// Null: nothing is asked.
[[nodiscard]] Json liveness_fields(const core::Probe& probe);
/// As read_readiness; of an object, not of null.
[[nodiscard]] core::Probe read_liveness(const Json& value, const std::string& where);

}  // namespace cluster::ctl
