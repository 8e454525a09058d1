#include "failure.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "sys/file.hpp"

namespace clusterd {

using cluster::Error;
using cluster::Op;
using cluster::place::Directories;

namespace {

constexpr const char* kChooseAnother = "Choose another with --runtime-dir or CLUSTER_RUNTIME_DIR.";

/// " (pid 123)" when the pid file says so.
std::string running_pid(const Directories& directories) {
    const auto text = cluster::sys::read_file(directories.pid_file(), 32);
    if (!text) return "";
    const std::string pid = text->substr(0, text->find('\n'));
    return pid.empty() ? "" : " (pid " + pid + ")";
}

void print_directory_failure(const std::string& path, int code) {
    if (code == EPERM) {
        std::fprintf(stderr, "clusterd: runtime directory %s belongs to another user. %s\n",
                     path.c_str(), kChooseAnother);
    } else if (code == EACCES) {
        std::fprintf(stderr,
                     "clusterd: others may write to runtime directory %s. Remove that right "
                     "(chmod go-w %s) or choose another directory.\n",
                     path.c_str(), path.c_str());
    } else {
        std::fprintf(stderr, "clusterd: runtime directory %s is not a directory. %s\n",
                     path.c_str(), kChooseAnother);
    }
}

}  // namespace

void print_failure(const Directories& directories, Error error) {
    const char* runtime = directories.runtime.c_str();
    if (error.op == Op::lock && error.code == EWOULDBLOCK) {
        std::fprintf(stderr,
                     "clusterd: another clusterd%s already runs on %s. Talk to it with clusterctl, "
                     "or start a second one elsewhere with --runtime-dir.\n",
                     running_pid(directories).c_str(), runtime);
    } else if (error.op == Op::bind && error.code == ENAMETOOLONG) {
        std::fprintf(stderr,
                     "clusterd: the control socket's path is too long (%zu bytes, 107 are "
                     "possible): %s. Choose a shorter --runtime-dir.\n",
                     directories.control_socket().size(), directories.control_socket().c_str());
    } else if (error.op == Op::check_owner) {
        print_directory_failure(directories.runtime, error.code);
    } else {
        std::fprintf(stderr, "clusterd: cannot start on runtime directory %s: %s: %s\n", runtime,
                     cluster::op_name(error.op), std::strerror(error.code));
    }
}

}  // namespace clusterd
