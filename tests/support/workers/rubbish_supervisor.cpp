// rubbish_supervisor: stands in for cluster-supervisor and writes rubbish of many sizes to every
// descriptor that it was given, then waits.
#include <unistd.h>

#include <initializer_list>
#include <string>

int main() {
    for (int fd = 3; fd < 64; ++fd) {
        for (const std::size_t size : {1U, 127U, 128U, 129U, 4096U}) {
            std::string rubbish(size, '\0');
            for (std::size_t i = 0; i < size; ++i) rubbish[i] = static_cast<char>(i * 7919U % 256U);
            if (::write(fd, rubbish.data(), rubbish.size()) < 0) break;
        }
    }
    while (true) ::pause();
}
