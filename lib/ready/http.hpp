// The little HTTP that a probe speaks: one GET, and the status of what comes back. Pure.
//
// Of the answer only the status line is looked at; those of informational answers (100 to 199) are
// skipped with their fields, as another one follows. Source: RFC 9112, sections 3 to 5; RFC 9110,
// section 15.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/spec.hpp"

namespace cluster::ready {

/// Requires: probe.kind is http.
[[nodiscard]] std::string http_request(const core::Probe& probe);

/// So much is read while no status has come. Unit: bytes. More fields than any server sends before
/// its answer.
inline constexpr std::size_t kMaxHttpAnswer = 8192;

struct HttpAnswer {
    enum class Kind : std::uint8_t {
        incomplete,  // read on
        status,
        no_http,  // nothing that may follow makes an answer of it
    };
    Kind kind = Kind::incomplete;
    std::uint16_t status = 0;  // status: 200 … 599

    friend bool operator==(const HttpAnswer&, const HttpAnswer&) = default;
};
/// `bytes`: everything that came so far.
[[nodiscard]] HttpAnswer read_http_answer(std::string_view bytes);

/// True when the probe asks for no more than this.
[[nodiscard]] bool is_good_status(const core::Probe& probe, std::uint16_t status);

}  // namespace cluster::ready
