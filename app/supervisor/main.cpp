// cluster-supervisor: the policy process. Started by clusterd only, with the link to it as an
// inherited descriptor.
#include <getopt.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string_view>

#include "heap.hpp"
#include "place/directories.hpp"
#include "supervisor/log.hpp"
#include "supervisor/supervisor.hpp"
#include "supervisor/upgrade.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"
#include "sys/shared_memory.hpp"

namespace {

using cluster::supervisor::Options;

constexpr int kUsageError = 2;

std::optional<Options> parse(int argc, char** argv) {
    const option names[] = {{"keeper-fd", required_argument, nullptr, 'k'},
                            {"runtime-dir", required_argument, nullptr, 'r'},
                            {"config", required_argument, nullptr, 'c'},
                            {"log-level", required_argument, nullptr, 'l'},
                            {nullptr, 0, nullptr, 0}};
    Options options;
    std::optional<std::string> runtime;
    for (int key = 0; (key = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
        switch (key) {
            case 'k':
                options.keeper_fd = std::atoi(optarg);
                break;
            case 'r':
                runtime = optarg;
                break;
            case 'c':
                options.config = optarg;
                break;
            case 'l':
                options.log_level = optarg;
                break;
            default:
                return std::nullopt;
        }
    }
    if (options.keeper_fd < 0 || optind != argc) return std::nullopt;
    options.directories = cluster::place::resolve(cluster::place::from_environment(), runtime);
    return options;
}

/// `cluster-supervisor --take-memory BYTES`: a job of the supervisor's, which gives the segment on
/// descriptor 3 its memory, in huge pages where the kernel allows.
int take_memory(const char* bytes) {
    constexpr int kSegment = cluster::supervisor::Jobs::kInheritedFd;
    const auto done = cluster::sys::collapse_memory(kSegment, std::strtoull(bytes, nullptr, 10));
    if (done) return EXIT_SUCCESS;
    std::fprintf(stderr, "store: no huge pages here: %s\n", std::strerror(done.error().code));
    const auto file = cluster::sys::inspect_memory_file(kSegment);
    // Where it is no segment, or there was not enough memory, it was not even taken.
    return file && done.error().code != ENOMEM ? EXIT_SUCCESS : EXIT_FAILURE;
}

/// `cluster-supervisor --use-huge-pages BYTES`: the same for what of it is in use.
int use_huge_pages(const char* bytes) {
    constexpr int kSegment = cluster::supervisor::Jobs::kInheritedFd;
    const auto done =
        cluster::sys::collapse_used_memory(kSegment, std::strtoull(bytes, nullptr, 10));
    if (done) return EXIT_SUCCESS;
    std::fprintf(stderr, "store: no huge pages here: %s\n", std::strerror(done.error().code));
    return EXIT_FAILURE;
}

/// `cluster-supervisor --succeeds=VERSIONS`: whether it could take over from a supervisor whose
/// daemon has these. clusterd has judged the part before the slash already.
int check_succession(std::string_view versions) {
    if (versions == cluster::supervisor::versions_for_successor()) return EXIT_SUCCESS;
    std::fprintf(stderr, "cluster-supervisor: knows the layouts %s, not %.*s\n",
                 cluster::supervisor::versions_for_successor().c_str(),
                 static_cast<int>(versions.size()), versions.data());
    return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc == 3 && std::strcmp(argv[1], "--take-memory") == 0) return take_memory(argv[2]);
    if (argc == 3 && std::strcmp(argv[1], "--use-huge-pages") == 0) return use_huge_pages(argv[2]);
    constexpr std::string_view kSucceeds = "--succeeds=";
    if (argc == 2 && std::string_view(argv[1]).rfind(kSucceeds, 0) == 0) {
        return check_succession(std::string_view(argv[1]).substr(kSucceeds.size()));
    }
    end_when_out_of_memory();
    cluster::sys::keep_heap_small();
    auto options = parse(argc, argv);
    if (!options) {
        std::fputs(
            "cluster-supervisor is started by clusterd; run clusterd or clusterctl start instead\n",
            stderr);
        return kUsageError;
    }
    // A reader of our log that went away and a full file are no reasons to die; and Ctrl-C at a
    // terminal, which reaches the whole process group, is the keeper's to act on.
    for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGQUIT, SIGHUP})
        cluster::sys::ignore_signal(signal);
    auto supervisor = cluster::supervisor::Supervisor::start(std::move(*options));
    if (!supervisor) {
        std::fprintf(stderr, "cluster-supervisor: %s: %s\n",
                     cluster::op_name(supervisor.error().op),
                     std::strerror(supervisor.error().code));
        return EXIT_FAILURE;
    }
    return (*supervisor)->run();
} catch (const std::exception& error) {
    // Crash-only: the keeper starts the next one, which takes everything over.
    cluster::supervisor::log::flush();
    std::fprintf(stderr, "cluster-supervisor: %s\n", error.what());
    return EXIT_FAILURE;
}
