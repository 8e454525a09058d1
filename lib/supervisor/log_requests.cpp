// logs.rotate, and the same asked for by a signal.
#include <set>

#include "supervisor/requests.hpp"

namespace cluster::supervisor {

Requests::Reply Requests::rotate(const ctl::request::Rotate& request) {
    if (const auto selected = select(request.selectors, true); !selected) {
        return tl::unexpected(selected.error());
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
