#include "sys/limits.hpp"

#include <sys/resource.h>

#include <array>
#include <cerrno>

namespace cluster::sys {
namespace {

struct LimitName {
    std::string_view name;
    int resource;
};

/// The names of `limits` in the config. Source: getrlimit(2).
constexpr std::array<LimitName, 16> kLimits{{{"as", RLIMIT_AS},
                                             {"core", RLIMIT_CORE},
                                             {"cpu", RLIMIT_CPU},
                                             {"data", RLIMIT_DATA},
                                             {"fsize", RLIMIT_FSIZE},
                                             {"locks", RLIMIT_LOCKS},
                                             {"memlock", RLIMIT_MEMLOCK},
                                             {"msgqueue", RLIMIT_MSGQUEUE},
                                             {"nice", RLIMIT_NICE},
                                             {"nofile", RLIMIT_NOFILE},
                                             {"nproc", RLIMIT_NPROC},
                                             {"rss", RLIMIT_RSS},
                                             {"rtprio", RLIMIT_RTPRIO},
                                             {"rttime", RLIMIT_RTTIME},
                                             {"sigpending", RLIMIT_SIGPENDING},
                                             {"stack", RLIMIT_STACK}}};

}  // namespace

Result<std::uint32_t> limit_resource(std::string_view name) {
    for (const LimitName& limit : kLimits) {
        if (limit.name == name) return static_cast<std::uint32_t>(limit.resource);
    }
    return fail(Op::limit, EINVAL);
}

}  // namespace cluster::sys
