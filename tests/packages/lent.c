/* Preloaded into a program that qemu's user mode runs: that mode makes no sockets for the kernel's socket look-up, so
   whoever starts it lends one, the descriptor LENT_SOCKET. What is asked and answered there is the kernel's own. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int socket(int domain, int type, int protocol) {
  const char *lent = getenv("LENT_SOCKET");
  if (domain == AF_NETLINK && protocol == NETLINK_SOCK_DIAG && lent != NULL) return fcntl(atoi(lent), F_DUPFD_CLOEXEC, 0);
  return (int)syscall(SYS_socket, domain, type, protocol);
}
