// report: tells on stdout, one "key value" per line, what it was given to live with: descriptors,
// session and group, signals, umask, directory, limits, ids, environment; then "done", and waits.
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace {

void report_descriptors() {
    DIR* directory = ::opendir("/proc/self/fd");
    if (directory == nullptr) return;
    while (const dirent* entry = ::readdir(directory)) {
        if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == ::dirfd(directory)) continue;
        char target[PATH_MAX] = {};
        if (::readlinkat(::dirfd(directory), entry->d_name, target, sizeof(target) - 1) < 0)
            continue;
        std::printf("fd %s %s\n", entry->d_name, target);
    }
    ::closedir(directory);
}

void report_status_lines() {
    FILE* file = std::fopen("/proc/self/status", "r");
    if (file == nullptr) return;
    char line[512];
    while (std::fgets(line, sizeof(line), file) != nullptr) {
        for (const char* key : {"SigIgn:", "SigBlk:", "SigCgt:", "Groups:", "Uid:", "Gid:"}) {
            if (std::strncmp(line, key, std::strlen(key)) == 0) std::printf("%s", line);
        }
    }
    std::fclose(file);
}

}  // namespace

int main() {
    report_descriptors();
    report_status_lines();
    std::printf("pid %d\nsession %d\ngroup %d\n", ::getpid(), ::getsid(0), ::getpgid(0));
    const mode_t mask = ::umask(0);
    std::printf("umask %03o\n", mask);
    char directory[PATH_MAX] = {};
    std::printf("cwd %s\n", ::getcwd(directory, sizeof(directory)));
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    std::printf("nofile %llu %llu\n", static_cast<unsigned long long>(files.rlim_cur),
                static_cast<unsigned long long>(files.rlim_max));
    std::printf("nice %d\n", ::getpriority(PRIO_PROCESS, 0));
    for (char** variable = environ; *variable != nullptr; ++variable) {
        std::printf("env %s\n", *variable);
    }
    std::printf("done\n");
    std::fflush(stdout);
    while (true) ::pause();
}
