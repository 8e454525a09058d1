#include "clusterctl/unpack.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/memory.hpp"

namespace cluster::clusterctl {

Result<sys::UniqueFd> unpack(const std::string& path) {
    auto file = sys::open_memory_file("clusterctl-logs", 0);
    if (!file) return file;
    std::string program = "gzip";
    std::string options = "-dc";
    std::string end = "--";
    std::string packed = path;
    const std::array<char*, 5> arguments{program.data(), options.data(), end.data(), packed.data(),
                                         nullptr};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, file->get(), STDOUT_FILENO);
    pid_t pid = -1;
    const int code =
        ::posix_spawnp(&pid, program.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return fail(Op::clone, code);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return fail(Op::wait, errno);
    }
    // 2 is a warning, such as of trailing garbage.
    const bool is_done =
        WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2);
    if (!is_done) return fail(Op::read, EIO);
    return file;
}

}  // namespace cluster::clusterctl
