#include "arguments.hpp"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>

namespace clusterd {

namespace {

constexpr int kExitUsage = 2;

constexpr const char* kHelp =
    "usage: clusterd [--config FILE] [options]\n"
    "\n"
    "The daemon of clusterctl, in the foreground: runs workers and keeps them running. Logs to "
    "stderr.\n"
    "Without --config it brings back what it ran last. SIGTERM or SIGINT stops all workers and "
    "ends it,\n"
    "SIGHUP reads the config again, SIGUSR2 rotates the logs.\n"
    "\n"
    "  -c, --config FILE        workers to run (TOML; see clusterd.toml)\n"
    "      --runtime-dir DIR    where the control socket is; another directory is another daemon\n"
    "      --log-level LEVEL    trace, debug, info, warn or error\n"
    "  -V, --version            print the version\n"
    "  -h, --help               print this\n"
    "\n"
    "environment:\n"
    "  CLUSTER_RUNTIME_DIR, CLUSTER_STATE_DIR, CLUSTER_LOG_DIR    directories\n"
    "  CLUSTER_SUPERVISOR                                         the cluster-supervisor to start\n"
    "\n"
    "exit codes: 0 stopped as asked, 1 failure, 2 bad usage or bad config\n";

constexpr int kRuntimeDir = 256;
constexpr int kLogLevel = 257;
constexpr int kEstate = 258;     // by a predecessor, or the supervisor of a dead one
constexpr int kSucceeds = 259;  // by the supervisor, before an upgrade

}  // namespace

Arguments parse_arguments(int argc, char** argv) {
    static const option kOptions[] = {{"config", required_argument, nullptr, 'c'},
                                      {"runtime-dir", required_argument, nullptr, kRuntimeDir},
                                      {"log-level", required_argument, nullptr, kLogLevel},
                                      {"estate-fd", required_argument, nullptr, kEstate},
                                      {"succeeds", required_argument, nullptr, kSucceeds},
                                      {"version", no_argument, nullptr, 'V'},
                                      {"help", no_argument, nullptr, 'h'},
                                      {nullptr, 0, nullptr, 0}};
    Arguments arguments;
    int choice = 0;
    while ((choice = ::getopt_long(argc, argv, "c:Vh", kOptions, nullptr)) != -1) {
        switch (choice) {
            case 'c':
                arguments.config = optarg;
                break;
            case kRuntimeDir:
                arguments.runtime_dir = optarg;
                break;
            case kLogLevel:
                arguments.log_level = optarg;
                break;
            case kEstate:
                arguments.estate = std::atoi(optarg);
                break;
            case kSucceeds:
                arguments.succeeds = optarg;
                break;
            case 'V':
                std::puts("clusterd " CLUSTER_VERSION);
                std::exit(0);
            case 'h':
                std::fputs(kHelp, stdout);
                std::exit(0);
            default:
                std::fputs("Try: clusterd --help\n", stderr);
                std::exit(kExitUsage);
        }
    }
    if (optind < argc) {
        std::fprintf(stderr, "clusterd: unexpected argument '%s'. Try: clusterd --config %s\n",
                     argv[optind], argv[optind]);
        std::exit(kExitUsage);
    }
    return arguments;
}

}  // namespace clusterd
