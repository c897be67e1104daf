//! Rotations, cuts, compression, kills and late writers in random order.

use super::*;

/// Rounds unless the environment says otherwise; each has some dozen steps.
const ROUNDS: u32 = 4;

/// A generator whose whole state is its seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// Moves all rotated files one number on; the oldest stay, so that nothing is lost.
fn shift(scene: &Scene) {
    for number in (1..60).rev() {
        for packed in ["", ".gz"] {
            if scene.path(&format!(".{number}{packed}")).exists() {
                scene.rename(&format!(".{number}{packed}"), &format!(".{}{packed}", number + 1));
            }
        }
    }
}

async fn round(seed: u64) {
    let mut dice = Dice(seed | 1);
    let mut scene = Scene::new("start");
    scene.write(1);
    // The first run begins with the file at the log's path; rotated ones are older than the job.
    let mut left = scene.check("the first run").await.outcome.cursor;
    let mut late = false;
    for step in 0..40 {
        let lines = dice.below(30);
        scene.write(lines);
        let what = dice.below(8);
        match what {
            0 | 1 => {
                shift(&scene);
                scene.rename("", ".1");
                scene.create();
                late = true;
            }
            2 => {
                shift(&scene);
                fs::copy(scene.path(""), scene.path(".1")).unwrap();
                scene.create();
                late = false;
            }
            3 if scene.path(".2").exists() => scene.compress(".2"),
            4 if scene.path(".1").exists() => {
                scene.compress(".1");
                late = false;
            }
            // Somebody still writes to the last rotated file.
            5 if late && scene.path(".1").exists() => scene.write_to(".1", 3),
            // A worker was killed after it read and before that was kept; the next one knows what the one before left.
            6 => {
                let _lost = scene.run().await;
                let cursor = left.clone().unwrap();
                scene.kit = Scene::agent(&scene.folder, "start").cursor(cursor);
                continue;
            }
            _ => {}
        }
        if dice.below(3) > 0 {
            left = scene.check(&format!("seed {seed}, step {step}, after {what}")).await.outcome.cursor;
        }
    }
    scene.check(&format!("seed {seed}, at the end")).await;
}

#[tokio::test]
async fn every_line_is_counted_once_whatever_happens_to_the_log() {
    let rounds = std::env::var("WATCHPOST_PROVE_LOGS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let seed = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    // A round that failed is looked at again by the seed in its message.
    if let Ok(seed) = std::env::var("WATCHPOST_PROVE_SEED") {
        return round(seed.parse().unwrap()).await;
    }
    println!("seed {seed}, {rounds} rounds");
    for number in 0..u64::from(rounds) {
        round(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).await;
    }
}
