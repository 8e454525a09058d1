#include "place/explain.hpp"

#include <cerrno>
#include <cstring>

#include "sys/file.hpp"

namespace cluster::place {
namespace {

constexpr const char* kChooseAnother =
    ". Choose another with --runtime-dir or CLUSTER_RUNTIME_DIR.";

/// " (pid 123)" when the pid file says so.
std::string running_pid(const Directories& directories) {
    const auto text = sys::read_file(directories.pid_file(), 32);
    if (!text) return "";
    const std::string pid = text->substr(0, text->find('\n'));
    return pid.empty() ? "" : " (pid " + pid + ")";
}

std::string explain_directory(const std::string& path, int code) {
    if (code == EPERM)
        return "runtime directory " + path + " belongs to another user" + kChooseAnother;
    if (code == EACCES) {
        return "others may write to runtime directory " + path +
               ". Remove that right (chmod go-w " + path + ") or choose another directory.";
    }
    return "runtime directory " + path + " is not a directory" + kChooseAnother;
}

}  // namespace

std::string explain(const Directories& directories, Error error) {
    if (error.op == Op::lock && error.code == EWOULDBLOCK) {
        return "another clusterd" + running_pid(directories) + " already runs on " +
               directories.runtime +
               ". Talk to it with clusterctl, or start a second one elsewhere with --runtime-dir.";
    }
    if (error.op == Op::bind && error.code == ENAMETOOLONG) {
        const std::string path = directories.control_socket();
        return "the control socket's path is too long (" + std::to_string(path.size()) +
               " bytes, 107 are possible): " + path + ". Choose a shorter --runtime-dir.";
    }
    if (error.op == Op::check_owner) return explain_directory(directories.runtime, error.code);
    return "cannot start on runtime directory " + directories.runtime + ": " + op_name(error.op) +
           ": " + std::strerror(error.code);
}

}  // namespace cluster::place
