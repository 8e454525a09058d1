// A line on the control socket, read as a request and (as clusterctl does) as an answer. An
// accepted request survives being rendered and parsed again; a refused one gets an answer of one
// line.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "ctl/protocol.hpp"

namespace ctl = cluster::ctl;

namespace {

void check_is_one_line(const std::string& line) {
    CLUSTER_ASSERT(!line.empty() && line.find('\n') == line.size() - 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    const std::string_view line(reinterpret_cast<const char*>(input), size);
    if (const auto parsed = ctl::parse_request(line)) {
        const std::string rendered = ctl::render_request(*parsed);
        check_is_one_line(rendered);
        const auto again =
            ctl::parse_request(std::string_view(rendered).substr(0, rendered.size() - 1));
        CLUSTER_ASSERT(again);
        CLUSTER_ASSERT(again->method.index() == parsed->method.index());
        CLUSTER_ASSERT(ctl::render_request(*again) == rendered);
    } else {
        check_is_one_line(ctl::render_error(parsed.error().id, parsed.error().error));
    }
    static_cast<void>(ctl::parse_version(line));
    static_cast<void>(ctl::parse_operation(line));
    if (const auto status = ctl::parse_status(line))
        CLUSTER_ASSERT(!ctl::status_document(*status).empty());
    return 0;
}
