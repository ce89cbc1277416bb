/** The sample rate of every Twilio stream, Hz. */
export const twilioSampleRate = 8000;
