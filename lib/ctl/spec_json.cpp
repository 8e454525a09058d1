// The two doors of a spec as text; spec_fields.cpp has what is behind them.
#include "ctl/spec_json.hpp"

#include <exception>

#include <nlohmann/json.hpp>

#include "ctl/socket_fields.hpp"
#include "ctl/spec_fields.hpp"

namespace cluster::ctl {

std::string render_spec(const core::WorkerSpec& spec) {
    return dump_line(spec_fields(spec));
}

tl::expected<core::WorkerSpec, std::string> parse_spec(std::string_view json) {
    try {
        return read_spec_fields(parse_bounded(json, ParseBounds{}), "spec");
    } catch (const std::exception& error) {
        return tl::unexpected<std::string>(error.what());
    }
}

std::string render_socket(const core::SocketSpec& socket) {
    return dump_line(socket_fields(socket));
}

tl::expected<core::SocketSpec, std::string> parse_socket(std::string_view json) {
    try {
        return read_socket_fields(parse_bounded(json, ParseBounds{}), "socket");
    } catch (const std::exception& error) {
        return tl::unexpected<std::string>(error.what());
    }
}

std::string render_store(const core::StoreSpec& spec) {
    return dump_line(store_fields(spec));
}

tl::expected<core::StoreSpec, std::string> parse_store(std::string_view json) {
    try {
        return read_store_fields(parse_bounded(json, ParseBounds{}), "store");
    } catch (const std::exception& error) {
        return tl::unexpected<std::string>(error.what());
    }
}

}  // namespace cluster::ctl
