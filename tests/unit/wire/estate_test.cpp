#include "wire/estate.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace wire = cluster::wire;
using cluster::Error;
using cluster::Op;

namespace {

constexpr wire::HeldKey kOutput{
    .kind = wire::HeldKind::output, .index = 0, .slot = 70, .generation = 3};
constexpr wire::HeldKey kProcess{
    .kind = wire::HeldKind::process, .index = 0, .slot = 70, .generation = 3};

/// Table 10, witness 11, an output 12 and a process 13; aligned, as check_estate wants it.
std::vector<std::uint64_t> sample() {
    wire::EstateBuilder builder;
    builder.add(kOutput, 12);
    builder.add(kProcess, 13);
    const std::string_view bytes = builder.finish(10, 11);
    REQUIRE(builder.descriptors() == std::vector<int>{12, 13, 10, 11});
    std::vector<std::uint64_t> words(bytes.size() / 8);
    REQUIRE(words.size() * 8 == bytes.size());
    std::memcpy(words.data(), bytes.data(), bytes.size());
    return words;
}

cluster::Result<wire::EstateView> check(const std::vector<std::uint64_t>& words,
                                        std::size_t bytes) {
    return wire::check_estate(std::as_bytes(std::span(words)).first(bytes));
}

/// The outcome with `value` in the place of four bytes.
Error error_with(std::size_t offset, std::int32_t value) {
    auto words = sample();
    std::memcpy(reinterpret_cast<std::byte*>(words.data()) + offset, &value, sizeof value);
    const auto view = check(words, words.size() * 8);
    return view ? Error{} : view.error();
}

}  // namespace

TEST_CASE("wire/estate: what was collected is read back") {
    const auto words = sample();
    const auto view = check(words, words.size() * 8);
    REQUIRE(view);
    CHECK(view->header->table == 10);
    CHECK(view->header->witness == 11);
    REQUIRE(view->entries.size() == 2);
    CHECK(view->entries[0].key == kOutput);
    CHECK(view->entries[0].fd == 12);
    CHECK(view->entries[1].key == kProcess);
    CHECK(view->entries[1].fd == 13);
}

TEST_CASE("wire/estate: an empty one has a table and a witness all the same") {
    wire::EstateBuilder builder;
    CHECK(builder.finish(3, 4).size() == sizeof(wire::EstateHeader));
}

TEST_CASE("wire/estate: another version is told apart from nonsense") {
    const Error other{Op::estate, EPROTO};
    const Error nonsense{Op::estate, EINVAL};
    CHECK(error_with(0, 1) == other);           // magic
    CHECK(error_with(8, 2) == other);           // version
    CHECK(error_with(12, 72) == other);         // header_bytes
    CHECK(error_with(16, 32) == other);         // entry_bytes
    CHECK(error_with(20, 1) == nonsense);       // entry_count: the file is longer
    CHECK(error_with(20, 3) == nonsense);       // and shorter
    CHECK(error_with(20, -1) == nonsense);      // more than there can be
    CHECK(error_with(24, 2) == nonsense);       // table: a standard descriptor
    CHECK(error_with(28, -1) == nonsense);      // witness
    CHECK(error_with(64, 0) == nonsense);       // the first entry's kind
    CHECK(error_with(64 + 16, 1) == nonsense);  // its descriptor
    CHECK(error_with(64 + 20, 0) == Error{});
}

TEST_CASE("wire/estate: cut off anywhere it is refused") {
    const auto words = sample();
    for (std::size_t bytes = 0; bytes < words.size() * 8; ++bytes) {
        CAPTURE(bytes);
        CHECK_FALSE(check(words, bytes).has_value());
    }
}
