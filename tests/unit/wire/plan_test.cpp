#include "wire/plan.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "base/prng.hpp"

using cluster::Op;
namespace wire = cluster::wire;
using wire::PlanOp;

namespace {

wire::PlanBuilder minimal() {
    wire::PlanBuilder builder;
    builder.add_argument("true");
    builder.exec("/bin/true");
    return builder;
}

std::vector<std::byte> bytes_of(const wire::PlanBuilder& builder) {
    auto bytes = builder.finish();
    REQUIRE(bytes);
    return *bytes;
}

wire::PlanHeader& header_of(std::vector<std::byte>& bytes) {
    return *reinterpret_cast<wire::PlanHeader*>(bytes.data());
}

wire::PlanOperation& operation_of(std::vector<std::byte>& bytes, std::size_t index) {
    return reinterpret_cast<wire::PlanOperation*>(bytes.data() + sizeof(wire::PlanHeader))[index];
}

bool is_refused(std::vector<std::byte> bytes, std::size_t fd_count = 0) {
    const auto view = wire::check_plan(bytes, fd_count);
    return !view && view.error().op == Op::plan && view.error().code == EINVAL;
}

/// A plan whose first operation is `operation`, with 64 bytes of strings or more.
std::vector<std::byte> with_operation(const wire::PlanOperation& operation) {
    wire::PlanBuilder builder;
    builder.session();
    builder.add_environment("PADDING", std::string(64, 'x'));
    builder.add_argument("true");
    builder.exec("/bin/true");
    auto bytes = bytes_of(builder);
    operation_of(bytes, 0) = operation;
    return bytes;
}

wire::PlanOperation operation(PlanOp op, std::uint32_t offset, std::uint32_t a, std::uint32_t b) {
    return {.op = op, .offset = offset, .a = a, .b = b, .wide_a = 0, .wide_b = 0};
}

}  // namespace

TEST_CASE("wire/plan: what was built is what is checked") {
    wire::PlanBuilder builder;
    builder.session();
    builder.dup(1, 0);
    builder.limit(7, 1024, 4096);
    builder.umask(022);
    builder.nice(-5);
    builder.chdir("/tmp");
    const std::array<std::uint32_t, 3> gids{10, 20, 30};
    builder.groups(gids);
    builder.set_gid(5);
    builder.set_uid(6);
    builder.oom_score(-17);
    builder.add_argument("sh");
    builder.add_argument("-c");
    builder.add_environment("A", "b=c");
    builder.add_environment_pid("LISTEN_PID");
    builder.exec("/bin/sh");
    auto bytes = bytes_of(builder);
    const auto plan = wire::check_plan(bytes, 2);
    REQUIRE(plan);
    const auto text = [&](std::uint32_t offset) { return std::string(&plan->strings[offset]); };
    REQUIRE(plan->argv.size() == 2);
    CHECK(text(plan->argv[0]) == "sh");
    CHECK(text(plan->argv[1]) == "-c");
    REQUIRE(plan->envp.size() == 2);
    CHECK(text(plan->envp[0]) == "A=b=c");
    CHECK(text(plan->envp[1]) == "LISTEN_PID=");
    REQUIRE(plan->ops.size() == 12);
    CHECK(plan->ops[1].op == PlanOp::dup);
    CHECK(plan->ops[1].a == 1);
    CHECK(plan->ops[2].wide_a == 1024);
    CHECK(plan->ops[2].wide_b == 4096);
    CHECK(static_cast<int>(plan->ops[4].a) == -5);
    CHECK(text(plan->ops[5].offset) == "/tmp");
    std::array<std::uint32_t, 3> found{};
    REQUIRE(plan->ops[6].a == 3);
    std::memcpy(found.data(), &plan->strings[plan->ops[6].offset], sizeof found);
    CHECK(found == gids);
    CHECK(plan->ops[10].op == PlanOp::env_pid);
    CHECK(plan->ops[10].offset == plan->envp[1] + std::strlen("LISTEN_PID="));
    CHECK(text(plan->ops[11].offset) == "/bin/sh");
}

TEST_CASE("wire/plan: a list of groups at the very end still leaves a terminated block") {
    wire::PlanBuilder builder;
    builder.add_argument("true");
    builder.exec("/bin/true");
    const std::array<std::uint32_t, 1> gids{0xFFFFFFFF};
    builder.groups(gids);
    auto bytes = bytes_of(builder);
    std::swap(operation_of(bytes, 0), operation_of(bytes, 1));
    CHECK(wire::check_plan(bytes, 0));
}

TEST_CASE("wire/plan: every wrong field of the header is refused") {
    REQUIRE_FALSE(is_refused(bytes_of(minimal())));
    const auto refuses = [](auto change) {
        auto bytes = bytes_of(minimal());
        change(header_of(bytes));
        return is_refused(bytes);
    };
    CHECK(refuses([](auto& header) { header.magic ^= 1U; }));
    CHECK(refuses([](auto& header) { header.version += 1; }));
    CHECK(refuses([](auto& header) { header.total_bytes += 1; }));
    CHECK(refuses([](auto& header) { header.op_count = 0; }));
    CHECK(refuses([](auto& header) { header.op_count = 2; }));
    CHECK(refuses([](auto& header) { header.op_count = 0xFFFFFFFF; }));
    CHECK(refuses([](auto& header) { header.argv_count = 0; }));
    CHECK(refuses([](auto& header) { header.argv_count = 0xFFFFFFFF; }));
    CHECK(refuses([](auto& header) { header.envp_count = 0xFFFFFFFF; }));
    CHECK(refuses([](auto& header) { header.envp_count = 0xFFFFFFFE; }));
    CHECK(refuses([](auto& header) { header.string_bytes = 0; }));
    CHECK(refuses([](auto& header) { header.string_bytes -= 4; }));
    CHECK(refuses([](auto& header) { header.string_bytes = 0xFFFFFFFF; }));
}

TEST_CASE("wire/plan: a file cut short, made longer or misaligned is refused") {
    auto bytes = bytes_of(minimal());
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK(is_refused({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)}));
    }
    bytes.push_back(std::byte{0});
    CHECK(is_refused(bytes));
    bytes.pop_back();
    std::vector<std::byte> shifted(bytes.size() + 4);
    std::memcpy(shifted.data() + 4, bytes.data(), bytes.size());
    CHECK_FALSE(wire::check_plan(std::span(shifted).subspan(4), 0));
}

TEST_CASE("wire/plan: exec is there once and last") {
    wire::PlanBuilder none;
    none.add_argument("true");
    none.session();
    CHECK(is_refused(bytes_of(none)));
    wire::PlanBuilder twice = minimal();
    twice.exec("/bin/false");
    CHECK(is_refused(bytes_of(twice)));
    wire::PlanBuilder early = minimal();
    early.session();
    CHECK(is_refused(bytes_of(early)));
}

TEST_CASE("wire/plan: the string block ends with a NUL") {
    auto bytes = bytes_of(minimal());
    bytes.back() = std::byte{'x'};
    CHECK(is_refused(bytes));
}

TEST_CASE("wire/plan: offsets outside of the strings are refused") {
    const auto block = [] {
        auto bytes = with_operation(operation(PlanOp::session, 0, 0, 0));
        return header_of(bytes).string_bytes;
    }();
    CHECK_FALSE(is_refused(with_operation(operation(PlanOp::chdir, block - 1, 0, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::chdir, block, 0, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::chdir, 0xFFFFFFFF, 0, 0))));
    CHECK_FALSE(is_refused(with_operation(operation(PlanOp::env_pid, block - 11, 0, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::env_pid, block - 10, 0, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::env_pid, 0xFFFFFFFC, 0, 0))));
    CHECK_FALSE(is_refused(with_operation(operation(PlanOp::groups, 4, 2, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::groups, 2, 2, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::groups, 4, block / 4, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::groups, 0, 0x40000001, 0))));
    auto bytes = bytes_of(minimal());
    const std::size_t argv = sizeof(wire::PlanHeader) + sizeof(wire::PlanOperation);
    const std::uint32_t outside = header_of(bytes).string_bytes;
    std::memcpy(bytes.data() + argv, &outside, sizeof outside);
    CHECK(is_refused(bytes));
}

TEST_CASE("wire/plan: descriptors that are not attached and targets out of range are refused") {
    const auto dup = [](std::uint32_t index, std::uint32_t target) {
        return with_operation(operation(PlanOp::dup, 0, index, target));
    };
    CHECK_FALSE(is_refused(dup(1, 63), 2));
    CHECK(is_refused(dup(2, 63), 2));
    CHECK(is_refused(dup(0, 0), 0));
    CHECK(is_refused(dup(1, 64), 2));
    CHECK(is_refused(dup(1, 0xFFFFFFFF), 2));
}

TEST_CASE("wire/plan: an unknown operation and an unknown resource are refused") {
    CHECK(is_refused(with_operation(operation(static_cast<PlanOp>(0), 0, 0, 0))));
    CHECK(is_refused(with_operation(operation(static_cast<PlanOp>(13), 0, 0, 0))));
    CHECK_FALSE(is_refused(with_operation(operation(PlanOp::limit, 0, 15, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::limit, 0, 16, 0))));
    CHECK(is_refused(with_operation(operation(PlanOp::umask, 0, 01000, 0))));
}

TEST_CASE("wire/plan: more than the bounds allow is not built") {
    wire::PlanBuilder many = minimal();
    for (std::uint32_t i = 0; i < wire::kMaxPlanOps; ++i) many.session();
    CHECK(many.finish().error() == cluster::Error{Op::plan, E2BIG});
    wire::PlanBuilder wide = minimal();
    for (std::uint32_t i = 0; i < wire::kMaxPlanPointers - 2; ++i) wide.add_argument("");
    CHECK(wide.finish().error() == cluster::Error{Op::plan, E2BIG});
    wire::PlanBuilder large = minimal();
    large.add_argument(std::string(wire::kMaxPlanBytes, 'x'));
    CHECK(large.finish().error() == cluster::Error{Op::plan, E2BIG});
}

TEST_CASE("wire/plan: random damage is refused or harmless, never read out of bounds") {
    cluster::Prng prng(20240607);
    const auto intact = with_operation(operation(PlanOp::groups, 4, 2, 0));
    for (int round = 0; round < 20000; ++round) {
        auto bytes = intact;
        for (int i = 0; i < 3; ++i) {
            bytes[prng.below(bytes.size())] = static_cast<std::byte>(prng.below(256));
        }
        const auto view = wire::check_plan(bytes, 1);
        if (!view) continue;
        // What passed must be readable throughout: the sanitizers are the judges here.
        std::size_t length = 0;
        for (const std::uint32_t offset : view->argv) length += std::strlen(&view->strings[offset]);
        for (const std::uint32_t offset : view->envp) length += std::strlen(&view->strings[offset]);
        CHECK(length <= view->strings.size() * (view->argv.size() + view->envp.size()));
        CHECK(view->ops.back().op == PlanOp::exec);
    }
}
