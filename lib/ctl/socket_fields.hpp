// A worker's listening sockets as fields of its spec's JSON. Private to this room.
#pragma once

#include <string>

#include "core/spec.hpp"
#include "ctl/field_reader.hpp"

namespace cluster::ctl {

[[nodiscard]] Json socket_fields(const core::SocketSpec& socket);

/// Throws FieldError that names the field and what was expected.
[[nodiscard]] core::SocketSpec read_socket_fields(const Json& value, const std::string& where);

/// `sockets` and `stdin_socket` of a spec; both may be absent.
void read_sockets_of_spec(FieldReader& fields, core::WorkerSpec& spec);

}  // namespace cluster::ctl
