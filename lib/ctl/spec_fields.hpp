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

[[nodiscard]] bool is_store_name(const std::string& name);
/// Which store: null is automatic, false none, else a name.
[[nodiscard]] Json store_choice_field(const core::StoreChoice& choice);
[[nodiscard]] core::StoreChoice read_store_choice(FieldReader& fields, std::string_view name);

/// The reverse of spec_json.hpp's store_fields. Throws FieldError. Whether the size is enough for
/// the tables, lib/store knows.
[[nodiscard]] core::StoreSpec read_store_fields(const Json& value, const std::string& where);

}  // namespace cluster::ctl
