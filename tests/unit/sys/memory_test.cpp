#include "sys/memory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "sys/file.hpp"

namespace cluster::sys {
namespace {

constexpr std::size_t kSize = 8192;

TEST_CASE("sys/memory: a memory file has its size, is zero and close-on-exec") {
    const auto file = open_memory_file("unit", kSize);
    REQUIRE(file);
    CHECK(file_size(file->get()).value_or(0) == kSize);
    CHECK((::fcntl(file->get(), F_GETFD) & FD_CLOEXEC) != 0);
    const auto mapping = map_shared(file->get(), kSize, false);
    REQUIRE(mapping);
    CHECK(mapping->as<const char>()[0] == 0);
    CHECK(mapping->as<const char>()[kSize - 1] == 0);
}

TEST_CASE("sys/memory: an old kernel can be pretended, and a new one forbids execution") {
    constexpr int kSealExec = 0x0020;  // F_SEAL_EXEC, Linux 6.3; not in the headers of glibc 2.36
    REQUIRE(::setenv("CLUSTER_KERNEL_FEATURES", "none", 1) == 0);
    const auto plain = open_memory_file("unit", kSize);
    REQUIRE(::unsetenv("CLUSTER_KERNEL_FEATURES") == 0);
    REQUIRE(plain);
    CHECK((::fcntl(plain->get(), F_GET_SEALS) & kSealExec) == 0);
    // What the kernel has is used, what it has not is done without.
    const int probe = ::memfd_create("probe", MFD_CLOEXEC | MFD_ALLOW_SEALING | 0x0008U);
    const auto sealed = open_memory_file("unit", kSize);
    REQUIRE(sealed);
    CHECK(((::fcntl(sealed->get(), F_GET_SEALS) & kSealExec) != 0) == (probe >= 0));
    if (probe >= 0) ::close(probe);
}

TEST_CASE("sys/memory: two mappings see each other's writes") {
    const auto file = open_memory_file("unit", kSize);
    REQUIRE(file);
    const auto writer = map_shared(file->get(), kSize, true);
    const auto reader = map_shared(file->get(), kSize, false);
    REQUIRE(writer);
    REQUIRE(reader);
    std::strcpy(writer->as<char>(), "seen");
    CHECK(std::strcmp(reader->as<const char>(), "seen") == 0);
}

TEST_CASE("sys/seals: a fixed size cannot change, its contents can, and no seal is added later") {
    const auto file = open_memory_file("unit", kSize);
    REQUIRE(file);
    REQUIRE(seal_size(file->get()));
    const auto grown = truncate(file->get(), kSize * 2);
    const auto shrunk = truncate(file->get(), 1);
    REQUIRE_FALSE(grown);
    REQUIRE_FALSE(shrunk);
    CHECK(grown.error() == Error{Op::truncate, EPERM});
    CHECK(shrunk.error() == Error{Op::truncate, EPERM});
    CHECK(write_all(file->get(), "still writable"));
    CHECK_FALSE(is_sealed(file->get()));
    CHECK_FALSE(seal_all(file->get()));
}

TEST_CASE("sys/seals: what is wholly sealed can be read and nothing else") {
    const auto file = open_memory_file("unit", kSize);
    REQUIRE(file);
    REQUIRE(write_all(file->get(), "plan"));
    CHECK_FALSE(is_sealed(file->get()));
    REQUIRE(seal_all(file->get()));
    CHECK(is_sealed(file->get()));
    const auto written = write_all(file->get(), "x");
    REQUIRE_FALSE(written);
    CHECK(written.error() == Error{Op::write, EPERM});
    CHECK_FALSE(map_shared(file->get(), kSize, true));
    const auto reader = map_shared(file->get(), kSize, false);
    REQUIRE(reader);
    CHECK(std::strncmp(reader->as<const char>(), "plan", 4) == 0);
}

TEST_CASE("sys/seals: a file that somebody can write through a mapping is not sealed") {
    const auto file = open_memory_file("unit", kSize);
    REQUIRE(file);
    const auto writer = map_shared(file->get(), kSize, true);
    REQUIRE(writer);
    const auto sealed = seal_all(file->get());
    REQUIRE_FALSE(sealed);
    CHECK(sealed.error() == Error{Op::seal, EBUSY});
    CHECK_FALSE(is_sealed(file->get()));
}

TEST_CASE("sys/seals: after the future-write seal the old mapping writes and a new one cannot") {
    const auto file = open_memory_file("unit", kSize);
    REQUIRE(file);
    const auto keeper = map_shared(file->get(), kSize, true);
    REQUIRE(keeper);
    REQUIRE(seal_future_writes(file->get()));
    keeper->as<char>()[5] = 'k';
    CHECK_FALSE(map_shared(file->get(), kSize, true));
    const auto reader = map_shared(file->get(), kSize, false);
    REQUIRE(reader);
    CHECK(reader->as<const char>()[5] == 'k');
    CHECK(::mprotect(reader->as<void>(), kSize, PROT_READ | PROT_WRITE) != 0);
}

TEST_CASE("sys/seals: an ordinary descriptor is not sealed") {
    const auto pipe = open_pipe();
    REQUIRE(pipe);
    CHECK_FALSE(is_sealed(pipe->read_end.get()));
}

TEST_CASE("sys/mapping: moving hands the address over") {
    const auto file = open_memory_file("unit", kSize);
    REQUIRE(file);
    auto mapping = map_shared(file->get(), kSize, true);
    REQUIRE(mapping);
    const auto* address = mapping->as<const char>();
    Mapping other = std::move(*mapping);
    CHECK(other.as<const char>() == address);
    CHECK(other.size() == kSize);
    CHECK_FALSE(mapping->is_mapped());
    other = Mapping{};
    CHECK_FALSE(other.is_mapped());
}

}  // namespace
}  // namespace cluster::sys
