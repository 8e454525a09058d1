// The doors of specs as text; spec_fields.cpp has what is behind them.
#include "ctl/spec_json.hpp"

#include <exception>

#include "ctl/socket_fields.hpp"
#include "ctl/spec_fields.hpp"

namespace cluster::ctl {
namespace {

/// What `read` makes of it, or what it threw.
template <class Read>
auto caught(Read read) -> tl::expected<decltype(read()), std::string> {
    try {
        return read();
    } catch (const std::exception& error) {
        return tl::unexpected<std::string>(error.what());
    }
}

}  // namespace

std::string render_spec(const core::WorkerSpec& spec) {
    return dump_line(spec_fields(spec));
}

tl::expected<core::WorkerSpec, std::string> parse_spec(std::string_view text) {
    return caught([&] { return read_spec_fields(parse_bounded(text, ParseBounds{}), "spec"); });
}

tl::expected<core::WorkerSpec, std::string> read_spec(const Json& document) {
    return caught([&] { return read_spec_fields(document, "spec"); });
}

std::string render_socket(const core::SocketSpec& socket) {
    return dump_line(socket_fields(socket));
}

tl::expected<core::SocketSpec, std::string> parse_socket(std::string_view text) {
    return caught([&] { return read_socket_fields(parse_bounded(text, ParseBounds{}), "socket"); });
}

std::string render_store(const core::StoreSpec& spec) {
    return dump_line(store_fields(spec));
}

tl::expected<core::StoreSpec, std::string> parse_store(std::string_view text) {
    return caught([&] { return read_store_fields(parse_bounded(text, ParseBounds{}), "store"); });
}

tl::expected<core::StoreSpec, std::string> read_store(const Json& document) {
    return caught([&] { return read_store_fields(document, "store"); });
}

}  // namespace cluster::ctl
