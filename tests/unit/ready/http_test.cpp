#include "ready/http.hpp"

#include <doctest/doctest.h>

#include "base/prng.hpp"

namespace cluster::ready {
namespace {

using Kind = HttpAnswer::Kind;

core::Probe spec() {
    core::Probe probe;
    probe.kind = core::Probe::Kind::http;
    probe.host = "::1";
    probe.port = 8000;
    probe.path = "/health?deep=1";
    return probe;
}

TEST_CASE("ready/http: a request is a GET that wants the connection closed") {
    CHECK(http_request(spec()) ==
          "GET /health?deep=1 HTTP/1.1\r\nHost: [::1]:8000\r\nUser-Agent: clusterd\r\n"
          "Accept: */*\r\nConnection: close\r\n\r\n");
}

TEST_CASE("ready/http: the status line says it all, in whatever pieces it comes") {
    const std::string answer = "HTTP/1.1 204 No Content\r\n";
    for (std::size_t length = 0; length <= 12; ++length) {
        CAPTURE(length);
        CHECK(read_http_answer(answer.substr(0, length)) == HttpAnswer{});
    }
    CHECK(read_http_answer(answer.substr(0, 13)) == HttpAnswer{Kind::status, 204});
    CHECK(read_http_answer(answer) == HttpAnswer{Kind::status, 204});
    CHECK(read_http_answer("HTTP/1.0 500\r\n") == HttpAnswer{Kind::status, 500});
    CHECK(read_http_answer("HTTP/1.0 200\n") == HttpAnswer{Kind::status, 200});
}

TEST_CASE("ready/http: informational answers are followed by another one") {
    const std::string early = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    CHECK(read_http_answer(early) == HttpAnswer{});
    CHECK(read_http_answer(early.substr(0, 20)) == HttpAnswer{});
    CHECK(read_http_answer(early + early + "HTTP/1.1 503 Later\r\n") ==
          HttpAnswer{Kind::status, 503});
}

TEST_CASE("ready/http: what is not HTTP is told from what is not all there") {
    for (const std::string text :
         {"SSH-2.0-OpenSSH", "<", "HTTP/2.0 200 OK\r\n", "HTTP/1.1  200 OK\r\n",
          "HTTP/1.1 20x OK\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 999 OK\r\n",
          "HTTP/1.1 099 OK\r\n", "HTTP/1.x 200 OK\r\n", "\r\nHTTP/1.1 200 OK\r\n"}) {
        CAPTURE(text);
        CHECK(read_http_answer(text).kind == Kind::no_http);
    }
}

TEST_CASE("ready/http: any bytes are read to an end") {
    Prng prng(7);
    const std::string pieces[] = {"HTTP/1.1 ", "100", "200", " ", "\r\n", "\r\n\r\n", "x", "\n"};
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (std::uint64_t i = prng.below(9); i > 0; --i) text += pieces[prng.below(8)];
        const HttpAnswer answer = read_http_answer(text);
        CHECK((answer.kind == Kind::status) == (answer.status >= 200));
    }
}

TEST_CASE("ready/http: good is 200 to 399, or the one that is asked for") {
    core::Probe probe = spec();
    CHECK_FALSE(is_good_status(probe, 199));
    CHECK(is_good_status(probe, 200));
    CHECK(is_good_status(probe, 399));
    CHECK_FALSE(is_good_status(probe, 400));
    probe.status = 401;
    CHECK(is_good_status(probe, 401));
    CHECK_FALSE(is_good_status(probe, 200));
}

}  // namespace
}  // namespace cluster::ready
