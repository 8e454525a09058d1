// logs.rotate, and the same asked for by a signal.
#include <fmt/core.h>

#include <set>

#include "supervisor/requests.hpp"

namespace cluster::supervisor {

Requests::Reply Requests::rotate(const ctl::request::Rotate& request) {
    for (const std::string& selector : request.selectors) {
        bool has_match = selector == "all";
        for (const core::Place* place : fleet_.places()) {
            has_match =
                has_match || is_selected({selector}, fleet_.worker(place->worker)->spec, *place);
        }
        if (has_match) continue;
        return tl::unexpected(ctl::RpcError{.code = ctl::ErrorCode::no_match,
                                            .message = fmt::format("nothing matches {}", selector),
                                            .diagnostics = {}});
    }
    return ctl::RotateAnswer{.archives = rotate_logs(request.selectors)};
}

std::uint32_t Requests::rotate_logs(const std::vector<std::string>& selectors) {
    std::uint32_t archives = 0;
    for (const core::Place* place : fleet_.places()) {
        const core::WorkerSpec& spec = fleet_.worker(place->worker)->spec;
        if (!is_selected(selectors, spec, *place)) continue;
        const LogPaths paths = log_paths(records_.daemon().log_dir, spec, place->number);
        for (const std::string& path : std::set<std::string>{paths.output, paths.error}) {
            archives += logs_.rotate(path, spec.log) ? 1U : 0U;
        }
    }
    return archives;
}

}  // namespace cluster::supervisor
