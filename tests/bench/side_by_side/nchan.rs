//! nginx with Nchan: channels in shared memory, some lines of each kept.

use crate::process::{Process, get};
use seawall::cli::bench::target::{
    HTTP_OK, Publisher, Setup, Subject, Subscription, Target, connect, loopback, post,
};
use std::{fs, path::Path, process::Command};

struct Nchan(Process);

pub fn subject() -> Subject {
    let start = |setup: &Setup| -> anyhow::Result<Box<dyn Target>> {
        let process = Process::start(setup, |folder, port| {
            let file = folder.join("nginx.conf");
            fs::write(&file, config(folder, port))?;
            let mut command = Command::new("nginx");
            command.arg("-e").arg(folder.join("error.log")).arg("-p").arg(folder);
            command.arg("-c").arg(file);
            Ok(command)
        })?;
        Ok(Box::new(Nchan(process)))
    };
    Subject { name: "nginx + Nchan", durable: false, start: Box::new(start) }
}

fn config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        r#"
load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off;
worker_processes auto;
worker_rlimit_nofile 40000;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 20000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  nchan_shared_memory_size 1024M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location ~ ^/pub/(\w+)$ {{
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 1000;
    }}
    location ~ ^/sub/(\w+)$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }}
    location ~ ^/all/(\w+)$ {{
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message oldest;
    }}
  }}
}}
"#
    )
}

impl Nchan {
    fn follow(&self, path: &str) -> Subscription {
        let (address, request) = (loopback(self.0.port), get(path));
        Subscription { address, request, ready: (b": hi", 1), http: true }
    }
}

impl Target for Nchan {
    fn processes(&self) -> Vec<u32> {
        self.0.all()
    }

    fn prepare(&mut self, _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    fn subscription(&self, topic: usize) -> Subscription {
        self.follow(&format!("/sub/t{topic}"))
    }

    fn replay(&self, topic: usize) -> Option<Subscription> {
        Some(self.follow(&format!("/all/t{topic}")))
    }

    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        let publisher = |_| {
            let encode = |topic: usize, line: &[u8], out: &mut Vec<u8>| {
                post(&format!("/pub/t{topic}"), "Content-Type: text/plain\r\n", line, out);
            };
            let pipe = Box::new(connect(loopback(self.0.port))?);
            Ok(Publisher { pipe, encode: Box::new(encode), ack: Some(HTTP_OK), pipelined: 16 })
        };
        (0..producers).map(publisher).collect()
    }
}
