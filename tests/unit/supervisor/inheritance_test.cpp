#include "supervisor/inheritance.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "sys/file.hpp"

namespace sup = cluster::supervisor;
namespace sys = cluster::sys;

TEST_CASE("supervisor/inheritance: nothing to hand over is nothing") {
    const sup::Inheritance none;
    CHECK(none.descriptors().empty());
    CHECK(none.variables().empty());
    CHECK_FALSE(none.has_sockets());
    CHECK_FALSE(none.socket_number("web"));
}

TEST_CASE("supervisor/inheritance: sockets, channel, store; in this order, however they came") {
    auto channel = sys::open_file("/dev/null", O_RDONLY);
    REQUIRE(channel);
    const int channel_fd = channel->get();
    sup::Inheritance all;
    all.set_store(70, 4711, 3);
    all.set_channel(std::move(*channel), true);
    all.set_variable("NOTIFY_SOCKET", "/run/x");
    all.add_socket("web", 50);
    all.add_socket("admin", 51);
    CHECK(all.descriptors() ==
          std::vector<sup::Inheritance::Placed>{{3, 50}, {4, 51}, {5, channel_fd}, {6, 70}});
    CHECK(all.variables() == sup::Variables{{"LISTEN_FDS", "2"},
                                            {"LISTEN_FDNAMES", "web:admin"},
                                            {"CLUSTER_CHANNEL_FD", "5"},
                                            {"NODE_CHANNEL_FD", "5"},
                                            {"NODE_CHANNEL_SERIALIZATION_MODE", "json"},
                                            {"CLUSTER_STORE", "v1:6:4711:3"},
                                            {"NOTIFY_SOCKET", "/run/x"}});
    CHECK(all.has_sockets());
    CHECK(all.socket_number("web") == 3);
    CHECK(all.socket_number("admin") == 4);
    CHECK_FALSE(all.socket_number("other"));
}

TEST_CASE("supervisor/inheritance: numbers begin at 3, and only Node hears of Node") {
    sup::Inheritance store_only;
    store_only.set_store(70, 1, 1);
    CHECK(store_only.variables() == sup::Variables{{"CLUSTER_STORE", "v1:3:1:1"}});
    auto channel = sys::open_file("/dev/null", O_RDONLY);
    REQUIRE(channel);
    store_only.set_channel(std::move(*channel), false);
    CHECK(store_only.variables() ==
          sup::Variables{{"CLUSTER_CHANNEL_FD", "3"}, {"CLUSTER_STORE", "v1:4:1:1"}});
}

TEST_CASE("supervisor/inheritance: what a run has stored comes behind the sockets") {
    sup::Inheritance all;
    all.set_store(70, 1, 1);
    all.add_stored("state", 60);
    CHECK(all.has_sockets());
    CHECK(all.variables() == sup::Variables{{"LISTEN_FDS", "1"},
                                            {"LISTEN_FDNAMES", "state"},
                                            {"CLUSTER_STORE", "v1:4:1:1"}});
    all.add_socket("web", 50);
    CHECK(all.descriptors() == std::vector<sup::Inheritance::Placed>{{3, 50}, {4, 60}, {5, 70}});
    CHECK(all.variables().at("LISTEN_FDNAMES") == "web:state");
    CHECK_FALSE(all.socket_number("state"));
}

TEST_CASE("supervisor/inheritance: the others step aside for a number that the config says") {
    struct {
        int number;
        const char* channel;
        const char* store;
    } const cases[] = {{4, "5", "v1:6:1:1"}, {5, "4", "v1:6:1:1"}, {6, "4", "v1:5:1:1"},
                       {63, "4", "v1:5:1:1"}};
    for (const auto& item : cases) {
        CAPTURE(item.number);
        auto channel = sys::open_file("/dev/null", O_RDONLY);
        auto pipe = sys::open_file("/dev/null", O_WRONLY);
        REQUIRE(channel);
        REQUIRE(pipe);
        sup::Inheritance all;
        all.add_socket("web", 50);
        all.set_store(70, 1, 1);
        all.set_channel(std::move(*channel), false);
        all.set_notification(item.number, std::move(*pipe));
        CHECK(all.variables().at("CLUSTER_CHANNEL_FD") == item.channel);
        CHECK(all.variables().at("CLUSTER_STORE") == item.store);
        CHECK(all.descriptors().back().number == item.number);
        CHECK(all.descriptors().size() == 4);
    }
}

TEST_CASE("supervisor/inheritance: words are put in front of what a variable says") {
    sup::Inheritance inheritance;
    inheritance.put_in_front("NODE_OPTIONS", "--require \"/a b\"");
    inheritance.put_in_front("NODE_OPTIONS", "--require \"/c\"");
    sup::Variables variables{{"NODE_OPTIONS", "--max-http-header-size=1"}};
    inheritance.add_fronts(variables);
    CHECK(variables["NODE_OPTIONS"] ==
          "--require \"/a b\" --require \"/c\" --max-http-header-size=1");
    sup::Variables none;
    inheritance.add_fronts(none);
    CHECK(none["NODE_OPTIONS"] == "--require \"/a b\" --require \"/c\"");
}
