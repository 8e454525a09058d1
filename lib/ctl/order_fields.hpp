// Who comes before a worker, as fields of its spec's JSON. Private to this room.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/spec.hpp"
#include "ctl/field_reader.hpp"

namespace cluster::ctl {

/// The names under `key` (requires, wants or after); none where it is absent. Throws FieldError.
[[nodiscard]] std::vector<std::string> read_order(FieldReader& fields, std::string_view key,
                                                  const core::WorkerSpec& spec);

}  // namespace cluster::ctl
