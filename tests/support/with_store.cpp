// with_store [--size MIB] [--counters N] [--participants N] [--striped N] COMMAND ARG…
//
// Runs a command as clusterd would: with a store of its own, named by CLUSTER_STORE, and no
// CLUSTER_SOCKET. The store is gone with the last process that has it.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "store/attach.hpp"
#include "store/segment.hpp"
#include "sys/shared_memory.hpp"

namespace store = cluster::store;

namespace {

int refuse(const char* what) {
    std::fprintf(stderr, "with_store: %s\n", what);
    return 2;
}

/// Takes "--name N" from the front of the arguments.
bool take_option(char**& at, store::SegmentOptions& options) {
    if (at[0] == nullptr || at[1] == nullptr || std::strncmp(at[0], "--", 2) != 0) return false;
    const std::string name = at[0] + 2;
    const auto number = std::strtoull(at[1], nullptr, 10);
    if (name == "size") options.bytes = number << 20U;
    if (name == "counters") options.counters = static_cast<store::u32>(number);
    if (name == "participants") options.participants = static_cast<store::u32>(number);
    if (name == "striped") options.striped = static_cast<store::u32>(number);
    at += 2;
    return true;
}

}  // namespace

int main(int /*argc*/, char** argv) {
    store::SegmentOptions options{
        .bytes = store::u64{12} << 20U, .counters = 64, .participants = 8, .striped = 4};
    char** command = argv + 1;
    while (take_option(command, options)) {
    }
    if (*command == nullptr) return refuse("no command");
    auto file = store::create(options);
    if (!file) return refuse(std::strerror(file.error().code));
    // One that the command inherits, unlike what create() gives.
    const int fd = ::dup(file->get());
    const auto segment = store::Segment::attach(fd, store::Access::read_only);
    if (!segment) return refuse("cannot attach");
    const std::string address = store::format_store_address(
        {.fd = fd, .inode = segment->inode(), .generation = segment->generation()});
    ::setenv("CLUSTER_STORE", address.c_str(), 1);
    ::unsetenv("CLUSTER_SOCKET");
    ::execvp(*command, command);
    return refuse(std::strerror(errno));
}
