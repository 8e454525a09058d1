// [socket.NAME]: one table of the config → one core::SocketSpec, and how workers name it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/field.hpp"
#include "conf/worker.hpp"
#include "core/socket_spec.hpp"

namespace cluster::conf {

/// Reads every [socket.NAME] and reports what is wrong with one, or with two of them together. Good
/// only when nothing was reported; all names are there anyway. `directory`: where relative paths
/// start.
[[nodiscard]] std::vector<core::SocketSpec> read_socket_tables(const Field& field,
                                                               const std::string& directory);

/// Every key of [socket.NAME].
[[nodiscard]] std::vector<std::string_view> socket_key_names();

/// Reports sockets that no worker names: nobody would ever take their connections.
void check_used(const Field& field, const std::vector<core::WorkerSpec>& workers);

/// `sockets`, `stdin_socket`, and every {socket:NAME} of a worker, when all its keys were seen.
void finish_sockets(WorkerDraft& draft);

}  // namespace cluster::conf
