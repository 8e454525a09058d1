// core::WorkerSpec as JSON and back: how an ad-hoc worker travels over the control socket, and how
// the supervisor stores a spec for its successor. Durations are integers in nanoseconds (`…_ns`),
// so that a round trip is exact.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "core/spec.hpp"
#include "json/json.hpp"

namespace cluster::ctl {

[[nodiscard]] std::string render_spec(const core::WorkerSpec& spec);

/// Checks every field and bound as conf does: the text may come from a stranger. Unknown fields are
/// refused. The error names the field and what was expected.
[[nodiscard]] tl::expected<core::WorkerSpec, std::string> parse_spec(std::string_view text);
/// The same, where it is part of a document.
[[nodiscard]] tl::expected<core::WorkerSpec, std::string> read_spec(const json::Json& document);

/// One listening socket, as a worker's spec has it.
[[nodiscard]] std::string render_socket(const core::SocketSpec& socket);
[[nodiscard]] tl::expected<core::SocketSpec, std::string> parse_socket(std::string_view text);

/// The same for a store: how the supervisor keeps what [store] said.
[[nodiscard]] std::string render_store(const core::StoreSpec& spec);
[[nodiscard]] tl::expected<core::StoreSpec, std::string> parse_store(std::string_view text);
[[nodiscard]] json::Json store_fields(const core::StoreSpec& spec);
[[nodiscard]] tl::expected<core::StoreSpec, std::string> read_store(const json::Json& document);

}  // namespace cluster::ctl
